/** A place in the whole log: gap-free from 1, across epochs. 0 is before everything. */
export type Slot = number
/** A place in one epoch: gap-free from 1. slot = base of the epoch + index. */
export type Index = number
/** One configuration of the cluster, ended by a seal. From 1; 0 stands for what belongs to the log as a whole. */
export type Epoch = number
