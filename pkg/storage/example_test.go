package storage_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"exporthub/pkg/errs"
	"exporthub/pkg/storage"
	"exporthub/pkg/storage/disk"
)

// A finished file is stored under a key that names its job, and read back in pieces.
func ExampleStore() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "example-*")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	files, err := disk.Open(dir)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer files.Close()
	var store storage.Store = files

	key, err := storage.ObjectKey(1763726400, "0f8fad5b-d9cb-469f-a165-70867728950e", "csv")
	if err != nil {
		fmt.Println(err)
		return
	}
	spool := strings.NewReader("name\r\n云帆科技\r\n")
	opts := storage.PutOptions{ContentType: "text/csv"}
	if err := store.Put(ctx, key, spool, spool.Size(), opts); err != nil {
		fmt.Println(err)
		return
	}

	object, info, err := store.Open(ctx, key)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer object.Close()
	if _, err := object.Seek(6, io.SeekStart); err != nil {
		fmt.Println(err)
		return
	}
	rest, err := io.ReadAll(object)
	fmt.Printf("%s, %d bytes: %q %v\n", info.Key, info.Size, rest, err)

	_, err = store.Stat(ctx, "export/other.csv")
	fmt.Println(errs.Is(err, errs.NotFound))
	// Output:
	// export/1763726400_0f8fad5b-d9cb-469f-a165-70867728950e.csv, 20 bytes: "云帆科技\r\n" <nil>
	// true
}
