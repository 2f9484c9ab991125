package report_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"testing"

	"github.com/sublet-hpc/sublet/bench/record"
	"github.com/sublet-hpc/sublet/bench/report"
)

// Whatever a file has in it, it is refused or told of in each way.
func FuzzFile(f *testing.F) {
	var whole bytes.Buffer
	if err := run(series(record.Sublet, 2, 300, 310), series("raw", 2, 200, 210)).Write(&whole); err != nil {
		f.Fatal(err)
	}
	unzipped, err := gzip.NewReader(&whole)
	if err != nil {
		f.Fatal(err)
	}
	text, err := io.ReadAll(unzipped)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte(`{"format":1}`))
	f.Add([]byte(`{"format":2}`))
	f.Add([]byte(`{"format":1}{"operations":1,"blocks":[{"elapsed_ns":1,"samples_ns":[-1]}]}`))
	f.Add([]byte(`{"format":1}null`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var zipped bytes.Buffer
		w := gzip.NewWriter(&zipped)
		_, err := w.Write(text)
		if err = errors.Join(err, w.Close()); err != nil {
			t.Fatal(err)
		}
		run, err := record.Read(&zipped)
		if err != nil {
			return
		}
		d := report.New(run)
		err = errors.Join(d.WriteTable(io.Discard), d.WriteJSON(io.Discard), report.WriteBenchstat(io.Discard, run),
			report.WriteChanges(io.Discard, run, run, report.Compare(run, run)))
		if err != nil {
			t.Error(err)
		}
	})
}
