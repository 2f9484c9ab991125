package portfolio

import (
	"fmt"
	"math"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// agree checks a number, and the line in which it stands, against strconv, which rounds once.
func agree(t interface {
	Errorf(string, ...any)
}, word string,
) {
	for _, bits := range []int{32, 64} {
		want, wantErr := strconv.ParseFloat(word, bits)
		var got float64
		var err error
		if bits == 32 {
			var narrow float32
			narrow, err = number[float32]([]byte(word))
			got = float64(narrow)
		} else {
			got, err = number[float64]([]byte(word))
		}
		if strings.ContainsAny(word, "xXpP_iInN") { // it reads decimal numbers only
			if err == nil {
				t.Errorf("%q is read as %v", word, got)
			}
			continue
		}
		if (err != nil) != (wantErr != nil) || err == nil && (got != want || math.Signbit(got) != math.Signbit(want)) {
			t.Errorf("%q is read as the float%d %x, %v; want %x, %v", word, bits, got, err, want, wantErr)
		}
	}
	if strings.ContainsFunc(word, func(r rune) bool { return r < 0x80 && isBlank(byte(r)) }) {
		return
	}
	// As a reference price, and as the spot price, in the way that most lines go.
	var o option[float32]
	text := []byte(word + "\n" + strings.Repeat(" ", lookahead))
	if next := quickReference(&o.reference, text, 0); next != 0 {
		if want, err := strconv.ParseFloat(word, 32); err != nil || next != len(word)+1 || float32(want) != o.reference {
			t.Errorf("%q is the reference price %x, and ends at %d; want %x", word, o.reference, next, float32(want))
		}
	}
	quickNumber[float32](t, word, 32)
	quickNumber[float64](t, word, 64)
}

func quickNumber[T Float](t interface {
	Errorf(string, ...any)
}, word string, bits int,
) {
	var o option[T]
	text := []byte(word + " 1 1 1 1 1 C 1 2\n" + strings.Repeat(" ", lookahead))
	if next := quickLine(&o, text, 0); next != 0 {
		want, err := strconv.ParseFloat(word, bits)
		if err != nil || string(text[next:next+2]) != "2\n" || T(want) != o.numbers[spotField] {
			t.Errorf("%q is the spot price %x in front of %q; want %x", word, o.numbers[spotField], text[next:], want)
		}
	}
}

var words = []string{
	"0", "-0", "0.0", "-0.00", "+5", "5.", ".5", "+.5e1", "1e5", "1E-5", "1e+05", "00042.00", "42.00", "0.1000", "4.759423036851750055",
	"16777217", "16777216.9999999999", "16777217.0000000000000000001", "8388608.5", "8388609.5", "0.000000000000000001", "99.999999999999999999",
	"12.345678901234567890123456789", "1234567.123456789012345678", "12345678.123456789012345678", "0.000000000000000000",
	"3.4028234663852886e38", "3.4028235677973366e38", "3.4028235677973367e38", "1e39", "1e400", "1e-45", "7e-46", "1e-50", "1e-400",
	"1.1754943508222875e-38", "1e99999999999999999999", "0e99999999999999999999", "1e-99999999999999999999", "18446744073709551615", "18446744073709551616",
	"1.00000017881393432617187499", "1.000000178813934326171875", "1.00000017881393432617187501", "9007199254740993", "1e22", "1e23",
	"", "-", "+", ".", "e5", "1e", "1e+", "1.2.3", "1,5", "abc", "nan", "NaN", "inf", "-Infinity", "0x1p3", "1_000", "1f", "--1", "4 2", "１",
}

func TestNumbers(t *testing.T) {
	for _, word := range words {
		agree(t, word)
	}
	rapid.Check(t, func(t *rapid.T) {
		agree(t, rapid.StringMatching(`[-+]?[0-9]{0,3}\.?[0-9]{0,20}([eE][-+]?[0-9]{1,2})?`).Draw(t, "word"))
		agree(t, rapid.StringMatching(`[0-9]{1,8}\.[0-9]{18}`).Draw(t, "word"))
		agree(t, rapid.StringMatching(`[0-9]{0,4}\.[0-9]{0,4}`).Draw(t, "word"))
		agree(t, rapid.StringN(0, 12, -1).Draw(t, "word"))
		// Near what lies half way between two float32, where double rounding would show.
		x := rapid.Float32Range(0.001, 1000).Draw(t, "x")
		middle := (float64(x) + float64(math.Nextafter32(x, 2000))) / 2
		digits := rapid.IntRange(8, 30).Draw(t, "digits")
		agree(t, strconv.FormatFloat(middle, 'f', digits, 64))
		agree(t, strconv.FormatFloat(math.Nextafter(middle, 2000*rapid.Float64Range(0, 1).Draw(t, "to")), 'f', 18, 64))
	})
}

// The C library reads the same.
func TestNumbersAsInC(t *testing.T) {
	var text []string
	for i := range uint64(100000) {
		a, b := mix(2*i), mix(2*i+1)
		x := math.Float32frombits(uint32(a))
		switch b % 4 {
		case 0:
			text = append(text, strconv.FormatFloat(float64(a>>40)/float64(uint64(1)<<(b>>8%24)), 'f', 18, 64))
		case 1:
			text = append(text, strconv.FormatFloat(float64(a>>40)/float64(uint64(1)<<(b>>8%24))+0x1p-26, 'g', 17, 64))
		case 2:
			text = append(text, fmt.Sprintf("%d.%02d", a%200, b>>8%100))
		default:
			if x-x == 0 {
				text = append(text, strconv.FormatFloat(float64(x), 'e', int(b>>8%25), 64))
			}
		}
	}
	command := exec.Command(floor(t), "convert")
	command.Stdin = strings.NewReader(strings.Join(text, "\n"))
	out, err := command.Output()
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Fields(string(out))
	if len(want) != len(text) {
		t.Fatalf("%d of %d numbers come back", len(want), len(text))
	}
	for i, word := range text {
		x, err := number[float32]([]byte(word))
		if got := fmt.Sprintf("%08x", math.Float32bits(x)); err == nil && got != want[i] || err != nil && want[i][1:] != "f800000" {
			t.Errorf("%q is read as %s, %v; in C as %s", word, got, err, want[i])
		}
	}
}

func FuzzNumber(f *testing.F) {
	for _, word := range words {
		f.Add(word)
	}
	f.Fuzz(func(t *testing.T, word string) {
		agree(t, word)
	})
}
