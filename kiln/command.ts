/** Prints text as it is; what a command does with its output instead of writing to the process's own. */
export type Write = (text: string) => void;
