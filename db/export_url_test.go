package db

// ParsePostgres is parsePostgres for the tests.
var ParsePostgres = parsePostgres
