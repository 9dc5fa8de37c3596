package db

// PreparedStatements returns how many queries are prepared.
func PreparedStatements(db *DB) int { return int(db.pools.prepared.Load()) }

// PlanOnce returns the query as SQLite prepares it.
func PlanOnce(query string) string { return sqliteDialect.planOnce(query) }
