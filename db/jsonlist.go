package db

import (
	"database/sql/driver"
	"encoding/json"
	"fmt"
)

// A JSONList is a list of strings stored as JSON in one column.
type JSONList[T ~string] []T

// Value implements driver.Valuer. A nil list is stored as the empty list.
func (l JSONList[T]) Value() (driver.Value, error) {
	if l == nil {
		return "[]", nil
	}
	b, err := json.Marshal([]T(l))
	return string(b), err
}

// Scan implements sql.Scanner.
func (l *JSONList[T]) Scan(src any) error {
	switch v := src.(type) {
	case string:
		return json.Unmarshal([]byte(v), (*[]T)(l))
	case []byte:
		return json.Unmarshal(v, (*[]T)(l))
	}
	return fmt.Errorf("list: cannot read %T", src)
}
