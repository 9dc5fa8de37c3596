package db_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"testing/fstest"
	"time"

	"github.com/latchkey/latchkey/db"
)

// books are the migrations of a program with its own table. Real programs embed files.
var books = fstest.MapFS{"00001_books.sql": {Data: []byte("-- +goose Up\nCREATE TABLE books (id text NOT NULL PRIMARY KEY, title text NOT NULL);")}}

type book struct {
	ID    string `db:"id"`
	Title string `db:"title"`
}

func open(ctx context.Context, dir string) *db.DB {
	d, err := db.Open(ctx, "sqlite:"+filepath.Join(dir, "library.db"), db.WithMigrations(db.MigrationSet{Name: "library", Files: books}))
	if err != nil {
		log.Fatal(err)
	}
	if _, err := d.Migrate(ctx); err != nil {
		log.Fatal(err)
	}
	return d
}

// A program stores and reads its own rows in Latchkey's database.
func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "library")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	d := open(ctx, dir)
	defer d.Close()

	err = d.Transact(ctx, func(tx *db.DB) error {
		for _, title := range []string{"Emma", "Persuasion"} {
			if _, err := tx.Exec(ctx, "add book", `INSERT INTO books (id, title) VALUES ($1, $2)`, db.NewID("book"), title); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	n, err := db.Get[int](ctx, d, "count books", `SELECT count(*) FROM books`)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(*n, "books")
	all, err := db.Select[book](ctx, d, "books", `SELECT * FROM books ORDER BY id`)
	if err != nil {
		log.Fatal(err)
	}
	for _, b := range all {
		fmt.Println(db.KindOf(b.ID), b.Title)
	}
	page, err := db.Listing[book]{Op: "books", From: "books", Where: "title > $1", Args: []any{"A"}}.Page(ctx, d, db.Page{Limit: 1})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(page.Rows[0].Title, page.HasNext)
	// Output:
	// 2 books
	// book Emma
	// book Persuasion
	// Emma true
}

// Payloads reach the subscribers in every process. A server's auth.Service.Run calls Listen; the example calls it directly.
func ExampleDB_Publish() {
	ctx, stop := context.WithCancel(context.Background())
	dir, err := os.MkdirTemp("", "library")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	d := open(ctx, dir)
	defer d.Close()
	listening := make(chan struct{})
	go func() {
		defer close(listening)
		d.Listen(ctx, db.Listener{Received: func(db.Notice) {}, Synced: func(time.Duration) {}, Disconnected: func(error) {}})
	}()

	borrowed, err := d.Subscribe(ctx, "borrowed")
	if err != nil {
		log.Fatal(err)
	}
	if err := d.Publish(ctx, "borrowed", "book_1"); err != nil {
		log.Fatal(err)
	}
	fmt.Println(<-borrowed)
	stop()
	<-listening
	// Output: book_1
}
