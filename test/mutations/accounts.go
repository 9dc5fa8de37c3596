package main

// Guessing and accounts.
func accounts() []mutation {
	return []mutation{
		{
			"T16: the first administrator's password is random", "server.go",
			"password := generatePassword()", `password := "aaaaa-bbbbb-ccccc-ddddd-eeeeee"`,
			".", "TestScripts/sqlite/first_start$",
		},
	}
}
