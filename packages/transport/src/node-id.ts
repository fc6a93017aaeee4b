/** A node's name in its cluster: 1 to 64 characters of a-z, 0-9 and `-`. */
export type NodeId = string
