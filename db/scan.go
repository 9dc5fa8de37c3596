package db

import (
	"reflect"
	"slices"

	"github.com/jmoiron/sqlx"
	"github.com/jmoiron/sqlx/reflectx"
)

var columnMapper = reflectx.NewMapper("db")

// A rowScanner scans the rows of one query into structs of one type. It looks up the fields of the columns once.
type rowScanner struct {
	rows    *sqlx.Rows
	columns []string
	fields  [][]int // by column; nil: the struct has no such field
	into    []any
}

func newRowScanner(rows *sqlx.Rows, of reflect.Type) (*rowScanner, error) {
	columns, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	return &rowScanner{rows, columns, columnMapper.TraversalsByName(of, columns), make([]any, len(columns))}, nil
}

// scan scans a row into dest, a pointer to a struct, and columns that have no field into extra.
func (s *rowScanner) scan(dest any, extra *map[string]any) error {
	v := reflect.ValueOf(dest).Elem()
	unknown := 0
	for i, path := range s.fields {
		if len(path) == 0 {
			s.into[i] = new(any)
			unknown++
			continue
		}
		s.into[i] = reflectx.FieldByIndexes(v, path).Addr().Interface()
	}
	if err := s.rows.Scan(s.into...); err != nil || unknown == 0 {
		return err
	}
	*extra = make(map[string]any, unknown)
	for i, path := range s.fields {
		if len(path) > 0 {
			continue
		}
		value := *s.into[i].(*any)
		if b, ok := value.([]byte); ok {
			value = string(slices.Clone(b))
		}
		(*extra)[s.columns[i]] = value
	}
	return nil
}
