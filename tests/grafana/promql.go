// Package grafana checks config/grafana against what a running binary exports.
//
// It reads PromQL by itself, the part of the language that dashboards of ours use, and
// refuses the rest: Prometheus's own parser comes with the module of the server, which
// would bring some hundred others and raise versions that this project has pinned.
package grafana

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Selector is a metric in a query, with the labels that choose series of it.
type Selector struct {
	Metric   string
	Matchers []Matcher
	Range    bool // of a span of time, as in rate(x[5m])
}

// Matcher chooses series by a label.
type Matcher struct{ Label, Operator, Value string }

// query is a parsed query.
type query struct {
	selectors []Selector
	groups    []group
}

// group is the labels that an aggregation keeps, and the selectors inside it.
type group struct {
	labels    []string
	selectors []Selector
}

var token = regexp.MustCompile(`^(?:(\s+)|([0-9]+(?:ms|[smhdwy]))|([0-9]+(?:\.[0-9]+)?)|("(?:[^"\\]|\\.)*")|([a-zA-Z_:][a-zA-Z0-9_:]*)|(==|!=|>=|<=|=~|!~|[-+*/%^(){}\[\],=<>]))`)

// Kinds of tokens, by their groups in the expression above.
const (
	kindDuration = iota + 2
	kindNumber
	kindText
	kindName
	kindSign
	kindEnd
)

type lexeme struct {
	kind int
	text string
	at   int
}

func lex(text string) (found []lexeme, err error) {
	for at := 0; at < len(text); {
		match := token.FindStringSubmatchIndex(text[at:])
		if match == nil {
			return nil, fmt.Errorf("character %d, %q, begins nothing", at+1, text[at])
		}
		for kind := kindDuration; kind <= kindSign; kind++ {
			if match[2*kind] >= 0 {
				found = append(found, lexeme{kind, text[at : at+match[1]], at})
			}
		}
		at += match[1]
	}
	return append(found, lexeme{kind: kindEnd, at: len(text)}), nil
}

// ranged functions take a span of time, plain ones an instant.
var (
	ranged      = []string{"rate", "increase", "changes", "max_over_time"}
	plain       = []string{"histogram_quantile", "sqrt", "abs", "clamp_min", "clamp_max"}
	aggregators = []string{"sum", "max", "min", "avg", "count", "topk"}
)

// operators by how tightly they bind, loosest first.
var operators = [][]string{{"or"}, {"and", "unless"}, {"==", "!=", ">", "<", ">=", "<="}, {"+", "-"}, {"*", "/", "%"}, {"^"}}

type parser struct {
	lexemes []lexeme
	query   query
}

func parse(text string) (query, error) {
	lexemes, err := lex(text)
	if err != nil {
		return query{}, err
	}
	p := &parser{lexemes: lexemes}
	span, err := p.expression(0)
	switch {
	case err != nil:
		return query{}, err
	case p.lexemes[0].kind != kindEnd:
		return query{}, p.unexpected()
	case span:
		return query{}, fmt.Errorf("it is of a span of time, which cannot be drawn")
	}
	return p.query, nil
}

func (p *parser) unexpected() error {
	if p.lexemes[0].kind == kindEnd {
		return fmt.Errorf("it ends too early")
	}
	return fmt.Errorf("unexpected %q at character %d", p.lexemes[0].text, p.lexemes[0].at+1)
}

// take takes the next lexeme if it is text.
func (p *parser) take(text string) bool {
	next := p.lexemes[0]
	if next.kind == kindEnd || next.kind == kindText || next.text != text {
		return false
	}
	p.lexemes = p.lexemes[1:]
	return true
}

func (p *parser) want(text string) error {
	if !p.take(text) {
		return fmt.Errorf("%w, want %q", p.unexpected(), text)
	}
	return nil
}

func (p *parser) of(kind int) (string, error) {
	next := p.lexemes[0]
	if next.kind != kind {
		return "", p.unexpected()
	}
	p.lexemes = p.lexemes[1:]
	return next.text, nil
}

// expression reads operators of this binding and of tighter ones, and tells whether
// it is a span of time.
func (p *parser) expression(binding int) (span bool, err error) {
	if binding == len(operators) {
		return p.operand()
	}
	if span, err = p.expression(binding + 1); err != nil {
		return span, err
	}
	for slices.ContainsFunc(operators[binding], p.take) {
		right, err := p.expression(binding + 1)
		if err != nil {
			return false, err
		}
		if span || right {
			return false, fmt.Errorf("an operator takes no span of time")
		}
	}
	return span, nil
}

func (p *parser) operand() (span bool, err error) {
	switch next := p.lexemes[0]; {
	case p.take("("):
		if span, err = p.expression(0); err != nil {
			return false, err
		}
		return span, p.want(")")
	case p.take("-"):
		return p.operand()
	case next.kind == kindNumber:
		_, err = p.of(kindNumber)
		return false, err
	}
	name, err := p.of(kindName)
	switch {
	case err != nil:
		return false, err
	case slices.Contains(aggregators, name):
		return false, p.aggregation()
	case name == "time":
		if err := p.want("("); err != nil {
			return false, err
		}
		return false, p.want(")")
	case slices.Contains(ranged, name) || slices.Contains(plain, name):
		return false, p.arguments(slices.Contains(ranged, name))
	case p.lexemes[0].text == "(":
		return false, fmt.Errorf("the function %s is not one that this package knows", name)
	}
	return p.selector(name)
}

// arguments reads those of a function or an aggregation; its vector is a span of time
// or is not.
func (p *parser) arguments(wantSpan bool) error {
	if err := p.want("("); err != nil {
		return err
	}
	spans := 0
	for {
		span, err := p.expression(0)
		if err != nil {
			return err
		}
		if span {
			spans++
		}
		if !p.take(",") {
			break
		}
	}
	if wantSpan != (spans == 1) {
		return fmt.Errorf("at character %d: a span of time where there must be none, or none where there must be one", p.lexemes[0].at+1)
	}
	return p.want(")")
}

func (p *parser) aggregation() error {
	before := len(p.query.selectors)
	labels, grouped, err := p.grouping()
	if err != nil {
		return err
	}
	if err := p.arguments(false); err != nil {
		return err
	}
	if !grouped {
		if labels, _, err = p.grouping(); err != nil {
			return err
		}
	}
	p.query.groups = append(p.query.groups, group{labels, slices.Clone(p.query.selectors[before:])})
	return nil
}

func (p *parser) grouping() (labels []string, grouped bool, err error) {
	if !p.take("by") {
		return nil, false, nil
	}
	if err := p.want("("); err != nil {
		return nil, false, err
	}
	for {
		label, err := p.of(kindName)
		if err != nil {
			return nil, false, err
		}
		labels = append(labels, label)
		if !p.take(",") {
			return labels, true, p.want(")")
		}
	}
}

func (p *parser) selector(metric string) (span bool, err error) {
	s := Selector{Metric: metric}
	if p.take("{") {
		for !p.take("}") {
			var m Matcher
			if m.Label, err = p.of(kindName); err != nil {
				return false, err
			}
			for _, operator := range []string{"=", "!=", "=~", "!~"} {
				if m.Operator == "" && p.take(operator) {
					m.Operator = operator
				}
			}
			if m.Operator == "" {
				return false, p.unexpected()
			}
			if m.Value, err = p.of(kindText); err != nil {
				return false, err
			}
			m.Value = strings.Trim(m.Value, `"`)
			s.Matchers = append(s.Matchers, m)
			if !p.take(",") && p.lexemes[0].text != "}" {
				return false, p.unexpected()
			}
		}
	}
	if p.take("[") {
		if _, err := p.of(kindDuration); err != nil {
			return false, err
		}
		if err := p.want("]"); err != nil {
			return false, err
		}
		s.Range = true
	}
	p.query.selectors = append(p.query.selectors, s)
	return s.Range, nil
}
