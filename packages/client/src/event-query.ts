/** What of all events is meant: in filters of reads, subscriptions and groups, and in the condition of an append. */

/** An event matches when its type is one of the types and it has each of the tags. What is absent asks for nothing. */
export interface QueryItem {
  readonly types?: readonly string[]
  readonly tags?: readonly string[]
}

/** An event matches when it matches one of the items. At least one. */
export interface EventQuery {
  readonly items: readonly QueryItem[]
}

/** An event passes when every part that is given lets it. Evaluated by the node, on its indexes. */
export interface EventFilter {
  /** It matches one of the items. */
  readonly items?: readonly QueryItem[]
  /** Its stream's name begins with one of these. */
  readonly prefixes?: readonly string[]
  /** The part of its stream's name before the first `-` (all of it when there is none) is one of these. */
  readonly categories?: readonly string[]
}

/** The dynamic consistency boundary of dcb.events: nothing is appended when an event matches. */
export interface AppendCondition {
  readonly failIfEventsMatch: EventQuery
  /** Events at or below this position do not count, mostly the `position` of a query. Default: all count. */
  readonly after?: bigint
}
