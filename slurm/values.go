package slurm

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// What Slurm's versions write for the same thing differs; these take all of it, and null for what is not set.

// number is an integer as Slurm writes it: plain, or as {"set": …, "infinite": …, "number": …} from Slurm 23.02 on.
type number struct {
	set, infinite bool
	n             int64
}

// Plain numbers of 32 bits that mean something else.
const (
	infinite32 = 0xffffffff
	notSet32   = 0xfffffffe
)

func (s *scanner) number() (number, error) {
	if s.peek() == '{' {
		return s.numberObject()
	}
	n, null, err := s.integer()
	switch {
	case err != nil || null || n == notSet32:
		return number{}, err
	case n == infinite32 || n == math.MaxInt64: // of 64 bits too, which do not fit
		return number{set: true, infinite: true}, nil
	}
	return number{set: true, n: n}, nil
}

// isNumberObject says whether the object that comes is a number.
func (s *scanner) isNumberObject() bool {
	ahead := scanner{data: s.data, at: s.at}
	is := false
	_ = ahead.object(func(key []byte) error {
		is = is || string(key) == "number"
		return ahead.skip()
	})
	return is
}

func (s *scanner) numberObject() (number, error) {
	r := number{set: true}
	err := s.object(func(key []byte) (err error) {
		switch string(key) {
		case "set":
			r.set, err = s.boolean()
		case "infinite":
			r.infinite, err = s.boolean()
		case "number":
			r.n, _, err = s.integer()
		default:
			err = s.skip()
		}
		return err
	})
	switch {
	case err != nil:
		return number{}, err
	case r.infinite: // whatever set says
		return number{set: true, infinite: true}, nil
	case !r.set:
		return number{}, nil
	}
	return r, nil
}

// integer reads a number, plain or in quotes, of which what is behind a point is left out, or null. What does not fit is as large as can be.
func (s *scanner) integer() (n int64, null bool, err error) {
	var text []byte
	switch s.peek() {
	case '{', '[', 't', 'f':
		return 0, false, s.unexpected("a number")
	case '"': // of 64 bits, as some write what JavaScript would round
		from := s.at
		if text, err = s.quoted(); err == nil && (len(text) == 0 || strings.Trim(string(text), "-0123456789") != "") {
			s.at = from
			err = s.unexpected("a number")
		}
	default:
		text, err = s.scalar()
	}
	if err != nil {
		return 0, false, err
	}
	if string(text) == "null" {
		return 0, true, nil
	}
	if n, err := strconv.ParseInt(string(text), 10, 64); err == nil {
		return n, false, nil
	}
	f, err := strconv.ParseFloat(string(text), 64)
	switch {
	case f >= math.MaxInt64:
		return math.MaxInt64, false, nil
	case f <= math.MinInt64:
		return math.MinInt64, false, nil
	case err != nil:
		return 0, false, fmt.Errorf("%s is no number", shown(string(text)))
	}
	return int64(f), false, nil
}

func (s *scanner) boolean() (bool, error) {
	if c := s.peek(); c != 't' && c != 'f' && c != 'n' {
		return false, s.unexpected("true or false")
	}
	text, err := s.scalar()
	return string(text) == "true", err
}

// text reads a string, or null.
func (s *scanner) text() (string, error) {
	switch s.peek() {
	case '"':
		text, err := s.quoted()
		return string(text), err
	case 'n':
		_, err := s.scalar()
		return "", err
	}
	return "", s.unexpected("a string")
}

// texts reads a list of strings, or one with commas between them, or null.
func (s *scanner) texts() ([]string, error) {
	if s.peek() != '[' {
		text, err := s.text()
		if err != nil || text == "" {
			return nil, err
		}
		return strings.Split(text, ","), nil
	}
	var texts []string
	err := s.array(func() error {
		text, err := s.text()
		texts = append(texts, text)
		return err
	})
	return texts, err
}

// hosts reads a hostlist, or a list of them, or null.
func (s *scanner) hosts() ([]string, error) {
	var list string
	var err error
	if s.peek() == '[' {
		var lists []string
		lists, err = s.texts()
		list = strings.Join(lists, ",")
	} else {
		list, err = s.text()
	}
	if err != nil || list == "" || list == "(null)" {
		return nil, err
	}
	return Expand(list)
}

// count reads an integer that can not be negative; what is not set is 0.
func (s *scanner) count() (int, error) {
	n, err := s.number()
	switch {
	case err != nil:
		return 0, err
	case n.infinite:
		return math.MaxInt32, nil
	case n.n < 0 || n.n > math.MaxInt32:
		return 0, fmt.Errorf("%d is no count", n.n)
	}
	return int(n.n), nil
}

// id reads the number of a job; what is not set is 0.
func (s *scanner) id() (JobID, error) {
	n, err := s.number()
	if err == nil && (n.infinite || n.n < 0 || n.n > math.MaxUint32) {
		err = fmt.Errorf("%d is no number of a job", n.n)
	}
	return JobID(n.n), err
}

// mebibytes reads an amount of memory, and returns bytes; what is not set or has no limit is 0.
func (s *scanner) mebibytes() (int64, error) {
	n, err := s.number()
	const most = math.MaxInt64 >> 20
	if err == nil && (n.n < 0 || n.n > most) {
		err = fmt.Errorf("%d MiB is no amount of memory", n.n)
	}
	return n.n << 20, err
}

// moment reads a time as seconds since 1970.
func (s *scanner) moment() (time.Time, error) {
	n, err := s.number()
	if err != nil || n.infinite || n.n < 0 {
		return time.Time{}, err
	}
	return moment(uint64(n.n)), nil
}

// minutes reads a time limit; what is not set is 0.
func (s *scanner) minutes() (time.Duration, error) {
	n, err := s.number()
	switch {
	case err != nil:
		return 0, err
	case n.infinite || n.n > int64(maxTime/time.Minute):
		return Unlimited, nil
	case n.n < 0:
		return 0, fmt.Errorf("%d minutes is no limit", n.n)
	}
	return time.Duration(n.n) * time.Minute, nil
}
