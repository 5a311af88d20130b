package qualystest

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Term is one "token: value" of a query.
type Term struct {
	Field string
	Value string
	Quote byte   // '"': by tokens; '`' and '\'': the value exactly; '[': a range, both ends included
	To    string // the end of a range, which Value begins
}

func (t Term) matches(fields map[string][]string, c *Config) bool {
	wanted := t.Value
	if c.Escapes {
		wanted = strings.NewReplacer(`\\`, `\`, `\`, "").Replace(wanted)
	}
	return slices.ContainsFunc(fields[t.Field], func(v string) bool {
		switch {
		case t.Quote == '[' && t.Field == fieldScore:
			n, err := strconv.Atoi(v)
			low, _ := strconv.Atoi(t.Value) // the parser has seen to it
			high, _ := strconv.Atoi(t.To)
			return err == nil && low <= n && n <= high
		case t.Quote == '[': // times in one layout
			return t.Value <= v && v <= t.To
		case (t.Quote == '"' || c.LooseQuotes) && c.AnyToken:
			return slices.ContainsFunc(tokenize(wanted), func(token string) bool { return tokensMatch(token, v) })
		case t.Quote == '"' && !c.ExactQuotes || c.LooseQuotes:
			return tokensMatch(wanted, v)
		}
		return v == wanted
	})
}

// tokensMatch is how Qualys's full-text fields find a value by a query in double quotes (its help
// pages on full-text search): every token of the query occurs in the value, in any order, the last one as
// the beginning of a token, whatever the case.
func tokensMatch(query, value string) bool {
	wanted, have := tokenize(query), tokenize(value)
	for i, w := range wanted {
		last := i == len(wanted)-1
		if !slices.ContainsFunc(have, func(h string) bool { return h == w || last && strings.HasPrefix(h, w) }) {
			return false
		}
	}
	return len(wanted) > 0
}

// tokenize cuts a value at white space, commas, hyphens, semicolons, brackets and ?@$%&/\, and at a dot
// between a letter and a digit; "qualys.corp.com" and "10.134" stay whole.
func tokenize(value string) []string {
	rs := []rune(strings.ToLower(value))
	var list []string
	start := 0
	cut := func(end, next int) {
		if end > start {
			list = append(list, string(rs[start:end]))
		}
		start = next
	}
	for i, r := range rs {
		between := r == '.' && i > 0 && i+1 < len(rs) && (unicode.IsDigit(rs[i-1]) && unicode.IsLetter(rs[i+1]) ||
			unicode.IsLetter(rs[i-1]) && unicode.IsDigit(rs[i+1]))
		if between || unicode.IsSpace(r) || strings.ContainsRune(`,-;()[]{}?@$%&/\`, r) {
			cut(i, i+1)
		}
	}
	cut(len(rs), len(rs))
	return list
}

// Query is a parsed query: terms joined with "or" and "and".
type Query struct {
	op       string // "term", "or", "and"
	term     Term
	operands []Query
}

// Terms returns the query's terms from left to right.
func (q Query) Terms() []Term {
	if q.op == "term" {
		return []Term{q.term}
	}
	var ts []Term
	for _, o := range q.operands {
		ts = append(ts, o.Terms()...)
	}
	return ts
}

func (q Query) matches(fields map[string][]string, c *Config) bool {
	switch q.op {
	case "term":
		return q.term.matches(fields, c)
	case "and":
		for _, o := range q.operands {
			if !o.matches(fields, c) {
				return false
			}
		}
		return true
	}
	for _, o := range q.operands {
		if o.matches(fields, c) {
			return true
		}
	}
	return false
}

// tokens are the fields of the events API that have a source (an integration in production, or a public
// query).
var tokens = [...]string{
	"network.local.address.ip", "network.remote.address.ip", "network.remote.address.fqdn",
	"file.name", "file.fullPath",
	"file.hash.md5", "file.hash.sha256", "handle.name", "process.name", fieldType, fieldScore, fieldTime,
}

// The tokens that are not full text.
const (
	fieldType  = "type"
	fieldScore = "indicator.score"
	fieldTime  = "event.datetime"
)

// rangeTime is the layout of the times in a range, and of those that events are found by.
const rangeTime = "2006-01-02T15:04:05.000Z"

// ParseQuery parses the part of QQL that the relay sends: terms with a quoted value or a range, joined
// with "or" and "and", with parentheses where both occur. A backslash before a quote swallows it, as
// Qualys warns of. An unknown token is an error.
func ParseQuery(qql string) (Query, error) {
	p := parser{rest: qql}
	q, err := p.either()
	if err != nil {
		return Query{}, err
	}
	if p.space(); p.rest != "" {
		return Query{}, fmt.Errorf("query goes on with %.20q where it should end", p.rest)
	}
	return q, nil
}

type parser struct {
	rest  string
	depth int
}

func (p *parser) space() { p.rest = strings.TrimLeft(p.rest, " ") }

// word reads one of the joining words.
func (p *parser) word(w string) bool {
	p.space()
	if len(p.rest) <= len(w) || !strings.EqualFold(p.rest[:len(w)], w) ||
		p.rest[len(w)] != ' ' && p.rest[len(w)] != '(' {
		return false
	}
	p.rest = p.rest[len(w):]
	return true
}

func (p *parser) either() (Query, error) { return p.joined("or", p.both) }
func (p *parser) both() (Query, error)   { return p.joined("and", p.operand) }

func (p *parser) joined(op string, operand func() (Query, error)) (Query, error) {
	q := Query{op: op}
	for {
		o, err := operand()
		if err != nil {
			return Query{}, err
		}
		q.operands = append(q.operands, o)
		if !p.word(op) {
			break
		}
	}
	if len(q.operands) == 1 {
		return q.operands[0], nil
	}
	return q, nil
}

func (p *parser) operand() (Query, error) {
	p.space()
	if !strings.HasPrefix(p.rest, "(") {
		return p.parseTerm()
	}
	if p.depth++; p.depth > 100 {
		return Query{}, errors.New("query nests too deep")
	}
	p.rest = p.rest[1:]
	q, err := p.either()
	if err != nil {
		return Query{}, err
	}
	p.depth--
	if p.space(); !strings.HasPrefix(p.rest, ")") {
		return Query{}, errors.New("query lacks a closing parenthesis")
	}
	p.rest = p.rest[1:]
	return q, nil
}

func (p *parser) parseTerm() (Query, error) {
	field, rest, found := strings.Cut(p.rest, ":")
	if !found {
		return Query{}, fmt.Errorf("query lacks a term at %.20q", p.rest)
	}
	if !slices.Contains(tokens[:], field) {
		return Query{}, fmt.Errorf("query has an unknown token %.40q", field)
	}
	rest = strings.TrimLeft(rest, " ")
	if field == fieldScore || field == fieldTime {
		return p.parseRange(field, rest)
	}
	if rest == "" || strings.IndexByte("\"`'", rest[0]) < 0 {
		return Query{}, fmt.Errorf("value of %s is not quoted", field)
	}
	quote := rest[0]
	for i := 1; i < len(rest); i++ {
		if rest[i] != quote || rest[i-1] == '\\' {
			continue
		}
		if i == 1 {
			return Query{}, fmt.Errorf("value of %s is empty", field)
		}
		p.rest = rest[i+1:]
		return Query{op: "term", term: Term{Field: field, Value: rest[1:i], Quote: quote}}, nil
	}
	return Query{}, fmt.Errorf("value of %s has no closing quote", field)
}

func (p *parser) parseRange(field, rest string) (Query, error) {
	inside, after, closed := strings.Cut(strings.TrimPrefix(rest, "["), "]")
	from, to, found := strings.Cut(inside, " .. ")
	if !strings.HasPrefix(rest, "[") || !closed || !found {
		return Query{}, fmt.Errorf("value of %s is not a range", field)
	}
	for _, end := range [...]*string{&from, &to} {
		var err error
		if field == fieldScore {
			_, err = strconv.Atoi(*end)
		} else if *end, err = strconv.Unquote(*end); err == nil {
			_, err = time.Parse(rangeTime, *end)
		}
		if err != nil {
			return Query{}, fmt.Errorf("range of %s has an end that is none", field)
		}
	}
	p.rest = after
	return Query{op: "term", term: Term{Field: field, Value: from, To: to, Quote: '['}}, nil
}
