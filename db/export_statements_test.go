package db

// PreparedStatements returns how many queries are prepared.
func PreparedStatements(db *DB) int { return int(db.pools.prepared.Load()) }
