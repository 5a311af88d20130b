package qualystest

import (
	"errors"
	"fmt"
	"strings"
)

// Term is one "token: value" of a query.
type Term struct {
	Field string
	Value string
	Quote byte // '"': the beginning of the value, in any case; '`' and '\'': the value exactly
}

func (t Term) matches(fields map[string][]string) bool {
	for _, v := range fields[t.Field] {
		if t.Quote != '"' && v == t.Value {
			return true
		}
		if t.Quote == '"' && len(v) >= len(t.Value) && strings.EqualFold(v[:len(t.Value)], t.Value) {
			return true
		}
	}
	return false
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

func (q Query) matches(fields map[string][]string) bool {
	switch q.op {
	case "term":
		return q.term.matches(fields)
	case "and":
		for _, o := range q.operands {
			if !o.matches(fields) {
				return false
			}
		}
		return true
	}
	for _, o := range q.operands {
		if o.matches(fields) {
			return true
		}
	}
	return false
}

// tokens are the fields of the events API that have a source (an integration in production, or a public query).
var tokens = [...]string{
	"network.local.address.ip", "network.remote.address.ip", "network.remote.address.fqdn", "file.name", "file.fullPath",
	"file.hash.md5", "file.hash.sha256", "handle.name", "process.name",
}

// ParseQuery parses the part of QQL that the relay sends: terms with a quoted value, joined with "or" and "and" (which binds closer), with
// parentheses. A backslash before a quote swallows it, as Qualys warns of. An unknown token is an error.
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
	if len(p.rest) <= len(w) || !strings.EqualFold(p.rest[:len(w)], w) || p.rest[len(w)] != ' ' && p.rest[len(w)] != '(' {
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
	known := false
	for _, t := range tokens {
		known = known || t == field
	}
	if !known {
		return Query{}, fmt.Errorf("query has an unknown token %.40q", field)
	}
	rest = strings.TrimLeft(rest, " ")
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
