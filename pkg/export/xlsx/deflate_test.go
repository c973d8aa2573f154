package xlsx

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"exporthub/pkg/dataset"
)

// inflate reads a stream with a reader that is not ours.
func inflate(t interface{ Fatalf(string, ...any) }, packed []byte) []byte {
	got, err := io.ReadAll(flate.NewReader(bytes.NewReader(packed)))
	if err != nil {
		t.Fatalf("the stream can't be read: %v", err)
	}
	return got
}

// pack compresses a text without any hints, in parts.
func pack(parts ...[]byte) []byte {
	var d deflater
	var all []byte
	for i, part := range parts {
		d.reset(1)
		d.xml = append(d.xml, part...)
		d.finish(i == len(parts)-1)
		all = append(all, d.out...)
	}
	return all
}

func TestAnyBytesSurviveTheDeflater(t *testing.T) {
	noise := make([]byte, 3<<20)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(noise)
	skewed := make([]byte, 1<<20) // needs codes cut to 15 bits
	for i := range skewed {
		skewed[i] = byte(rand.New(rand.NewPCG(uint64(i), 2)).ExpFloat64() * 3)
	}
	fibonacci := []byte{}
	for i, a, b := 0, 1, 1; i < 25; i, a, b = i+1, b, a+b {
		fibonacci = append(fibonacci, bytes.Repeat([]byte{byte(i * 7)}, a)...)
	}
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(fibonacci), func(i, j int) { fibonacci[i], fibonacci[j] = fibonacci[j], fibonacci[i] })
	for name, parts := range map[string][][]byte{
		"nothing":            {{}},
		"nothing in parts":   {{}, {}, {}},
		"a byte":             {{7}},
		"noise":              {noise},
		"skewed":             {skewed},
		"codes of 20 bits":   {fibonacci},
		"one byte, often":    {bytes.Repeat([]byte{'a'}, 1<<20)},
		"far apart":          {append(append([]byte("<row>文字文字"), make([]byte, window)...), "<row>文字文字"...)},
		"parts of all kinds": {noise[:1000], {}, []byte("abcabcabc"), skewed[:70000], {0}},
	} {
		t.Run(name, func(t *testing.T) {
			if got, want := inflate(t, pack(parts...)), bytes.Join(parts, nil); !bytes.Equal(got, want) {
				t.Errorf("%d bytes came back as %d others", len(want), len(got))
			}
		})
	}
}

func FuzzDeflater(f *testing.F) {
	f.Add([]byte("aaaaaaaaaaaaaaaa"), []byte(""))
	f.Add([]byte("<c r=\"A1\"><v>1</v></c><c r=\"A2\"><v>1</v></c>"), []byte("\x00\xff"))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		if got := inflate(t, pack(a, b)); !bytes.Equal(got, append(a, b...)) {
			t.Errorf("%q %q came back as %q", a, b, got)
		}
	})
}

// TestWrongHintsCostSpaceOnly spoils every hint there is.
func TestWrongHintsCostSpaceOnly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var d deflater
		d.reset(3)
		any := rapid.IntRange(-10, 70000)
		for range rapid.IntRange(1, 20).Draw(t, "rows") {
			start := len(d.xml)
			d.xml = append(d.xml, strings.Repeat(rapid.StringN(0, 20, -1).Draw(t, "text"), rapid.IntRange(1, 50).Draw(t, "times"))...)
			d.xml = append(d.xml, "</row>"...)
			for c := range 4 {
				// The places of this row are right, as a caller's are; what cell remembers is
				// anything.
				d.cells[c] = cellHint{int32(any.Draw(t, "joint")), int32(any.Draw(t, "digits"))}
				span := len(d.xml) - start
				joint := max(d.at-rapid.IntRange(0, 5).Draw(t, "back"), 0)
				digits := joint + rapid.IntRange(0, span).Draw(t, "number")
				digits = min(digits, len(d.xml))
				value := min(digits+rapid.IntRange(0, span).Draw(t, "value"), len(d.xml))
				key := uint32(rapid.IntRange(0, 3).Draw(t, "key"))
				d.shared[key*0x9E3779B1>>(32-13)] = int32(any.Draw(t, "shared"))
				d.cell(place{column: c, joint: joint, digits: digits, value: value, key: key, text: rapid.Bool().Draw(t, "is text")},
					any.Draw(t, "before"))
			}
		}
		want := bytes.Clone(d.xml)
		d.finish(true)
		if got := inflate(t, d.out); !bytes.Equal(got, want) {
			t.Fatalf("%q came back as %q", want, got)
		}
	})
}

// parts reads every file of an archive; their checksums are compared on the way.
func parts(t interface{ Fatalf(string, ...any) }, file []byte) map[string]string {
	archive, err := zip.NewReader(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatalf("no archive: %v", err)
	}
	all := map[string]string{}
	for _, f := range archive.File {
		r, err := f.Open()
		if err != nil {
			t.Fatalf("%s: %v", f.Name, err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatalf("%s: %v", f.Name, err)
		}
		all[f.Name] = string(data)
	}
	return all
}

// randomRows draws rows of every type, with texts that come once and texts that come often.
func randomRows(t *rapid.T, types []dataset.Type, most int) [][]dataset.Value {
	often := rapid.SampledFrom([]string{"市场部", "销售部", " a ", "", "_x0041_", strings.Repeat("长", 200)})
	rows := make([][]dataset.Value, rapid.IntRange(0, most).Draw(t, "rows"))
	number := rapid.OneOf(rapid.Int64Range(-1000, 1000), rapid.Int64())
	for i := range rows {
		rows[i] = make([]dataset.Value, len(types))
		for j, kind := range types {
			switch {
			case rapid.IntRange(0, 9).Draw(t, "null") == 0:
				rows[i][j] = dataset.Null
			case kind == dataset.Text || kind == dataset.Code || kind == dataset.URL:
				rows[i][j] = dataset.String(rapid.OneOf(often, texts()).Draw(t, "text"))
			case kind == dataset.Bool:
				rows[i][j] = dataset.Truth(rapid.Bool().Draw(t, "bool"))
			default:
				rows[i][j] = dataset.Number(number.Draw(t, "number"))
			}
		}
	}
	return rows
}

var allTypes = []dataset.Type{
	dataset.Int, dataset.Text, dataset.Money, dataset.DateTime, dataset.Date, dataset.Bool, dataset.Code, dataset.URL,
}

// TestOurCompressorAgainstAGeneralOne holds that what is in the file doesn't depend on who
// compressed it.
func TestOurCompressorAgainstAGeneralOne(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		types := rapid.SliceOfN(rapid.SampledFrom(allTypes), 1, 6).Draw(rt, "types")
		rows := randomRows(rt, types, 60)
		own, ownReport := write(t, sheetOf(types...), Options{}.limits(), rows...)
		general, report := write(t, sheetOf(types...), Options{Level: 6}.limits(), rows...)
		if ownReport != report {
			rt.Errorf("reports %+v and %+v", ownReport, report)
		}
		want, got := parts(rt, general), parts(rt, own)
		for name := range want {
			if got[name] != want[name] {
				rt.Errorf("%s: %q, want %q", name, got[name], want[name])
			}
		}
	})
}

// TestTheFileDoesNotDependOnTheCores writes many batches with one goroutine and with many.
func TestTheFileDoesNotDependOnTheCores(t *testing.T) {
	s := benchSheet()
	var sums []string
	for _, level := range []int{0, 1} {
		for _, workers := range []int{1, 2, 3, 16} {
			sum := crc32.NewIEEE()
			out := counter{w: sum}
			w, err := Format(Options{Level: level, Workers: workers, SheetRows: 7001}).New(&out, s)
			if err != nil {
				t.Fatal(err)
			}
			row := make([]dataset.Value, 10)
			for i := range 20_000 {
				fillBenchRow(row, i)
				if i%1000 == 0 {
					row[3] = dataset.String(strings.Repeat("长", 20_000))
				}
				if err := w.Write(row); err != nil {
					t.Fatal(err)
				}
			}
			if report, err := w.Close(); err != nil || report.Rows != 20_000 || report.Sheets != 3 {
				t.Fatalf("%+v, %v", report, err)
			}
			sums = append(sums, fmt.Sprintf("level %d: %d bytes, %08x", level, out.n, sum.Sum32()))
			if first := sums[level*4]; sums[len(sums)-1] != first {
				t.Errorf("%d workers: %s; one: %s", workers, sums[len(sums)-1], first)
			}
		}
	}
	if sums[0] == sums[4] {
		t.Error("both compressors gave the same bytes: only one was tried")
	}
}

func TestCombineCRC(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := rapid.SliceOf(rapid.Byte()).Draw(t, "a")
		b := rapid.SliceOf(rapid.Byte()).Draw(t, "b")
		want := crc32.ChecksumIEEE(append(bytes.Clone(a), b...))
		if got := combineCRC(crc32.ChecksumIEEE(a), crc32.ChecksumIEEE(b), int64(len(b))); got != want {
			t.Fatalf("%08x, want %08x", got, want)
		}
	})
}
