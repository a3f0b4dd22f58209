/** What a cold start is made of, in its order. */
export const PHASES = ["queue", "image", "create", "start", "socket", "answer", "rest", "total"] as const;
export type Phase = (typeof PHASES)[number];

/** Milliseconds; a phase that somebody has not is missing. */
export type ColdStart = Readonly<Partial<Record<Phase, number>>>;
