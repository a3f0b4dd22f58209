import type { Sql, SqlValue } from "./sql.ts";

export type Row = Readonly<Record<string, SqlValue>>;

/** Where statements go, one after the other. */
export interface Queries {
  query(statement: Sql): Promise<readonly Row[]>;
}

/** A transaction that has not ended yet. */
export interface Transaction extends Queries {
  /** A name that gateways hear once it has ended well, and never otherwise. */
  notify(message: string): Promise<void>;
}

/** What the store needs of a database: SQLite and PostgreSQL are the two there are. */
export interface Database extends Queries, AsyncDisposable {
  /** Where they differ for good. */
  readonly dialect: Dialect;
  /** Commits what `work` did unless it throws; committed means on disk. */
  transaction<T>(work: (transaction: Transaction) => Promise<T>): Promise<T>;
  /** Calls `heard` with what others notified, or with undefined where anything may have changed. */
  listen(heard: (message: string | undefined) => void): void;
}

export interface Dialect {
  /** Compares by bytes. */
  readonly textType: Sql;
  /** Keeps others from changing a row until the transaction ends. */
  readonly forUpdate: Sql;
  /** Keeps other starts from migrating at the same time, until the transaction ends. */
  readonly lockSchema: Sql | undefined;
}
