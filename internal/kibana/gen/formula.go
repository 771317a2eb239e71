package main

import (
	"fmt"
	"strconv"
	"strings"
)

// aggregation is a call in a formula that Elasticsearch answers.
type aggregation struct {
	id, operation, field, kql string
}

// node is a call in the tree that Kibana computes from what was aggregated. Its
// arguments are nodes, numbers, and the ids of aggregations.
type node struct {
	Type     string   `json:"type"`
	Name     string   `json:"name"`
	Args     []any    `json:"args"`
	Location location `json:"location"`
	Text     string   `json:"text"`
}

// location is where in the formula a node is written, in characters.
type location struct {
	Min int `json:"min"`
	Max int `json:"max"`
}

var aggregated = map[string]bool{
	"count": true, "average": true, "sum": true, "min": true, "max": true, "median": true, "standard_deviation": true, "unique_count": true,
}

// operators by how tightly they bind.
var operators = []map[byte]string{{'+': "add", '-': "subtract"}, {'*': "multiply", '/': "divide"}}

// formula is a reader of Kibana's formulae: numbers, + - * /, parentheses, functions
// of these, and aggregations of a field, with a filter as kql='…'.
type formula struct {
	column, text string
	at           int
	found        []aggregation
}

func parseFormula(column, text string) (tree any, found []aggregation, err error) {
	f := &formula{column: column, text: text}
	tree, err = f.sum(0)
	if f.skip(); err == nil && f.at < len(text) {
		err = f.unexpected()
	}
	return tree, f.found, err
}

func (f *formula) skip() {
	for f.at < len(f.text) && f.text[f.at] == ' ' {
		f.at++
	}
}

func (f *formula) unexpected() error {
	if f.at >= len(f.text) {
		return fmt.Errorf("it ends too early")
	}
	return fmt.Errorf("unexpected %q at character %d", f.text[f.at], f.at+1)
}

// next takes c if it comes next.
func (f *formula) next(c byte) bool {
	f.skip()
	if f.at < len(f.text) && f.text[f.at] == c {
		f.at++
		return true
	}
	return false
}

// sum reads operators of this binding and of tighter ones.
func (f *formula) sum(binding int) (any, error) {
	if binding == len(operators) {
		return f.value()
	}
	f.skip()
	began := f.at
	left, err := f.sum(binding + 1)
	for err == nil {
		f.skip()
		if f.at >= len(f.text) || operators[binding][f.text[f.at]] == "" {
			break
		}
		name := operators[binding][f.text[f.at]]
		f.at++
		var right any
		right, err = f.sum(binding + 1)
		left = f.node(name, began, left, right)
	}
	return left, err
}

func (f *formula) node(name string, began int, args ...any) node {
	return node{Type: "function", Name: name, Args: args, Location: location{began, f.at}, Text: f.text[began:f.at]}
}

func (f *formula) value() (any, error) {
	if f.next('(') {
		inner, err := f.sum(0)
		if err == nil && !f.next(')') {
			err = f.unexpected()
		}
		return inner, err
	}
	began := f.at
	word := f.word()
	if number, err := strconv.ParseFloat(word, 64); err == nil {
		return number, nil
	}
	switch {
	case word == "" || !f.next('('):
		return nil, f.unexpected()
	case aggregated[word]:
		return f.aggregation(word)
	}
	var args []any
	for {
		arg, err := f.sum(0)
		if err != nil {
			return nil, err
		}
		args = append(args, arg)
		if f.next(')') {
			return f.node(word, began, args...), nil
		}
		if !f.next(',') {
			return nil, f.unexpected()
		}
	}
}

// word reads a name or a number.
func (f *formula) word() string {
	began := f.at
	for f.at < len(f.text) && (f.text[f.at] == '_' || f.text[f.at] == '.' || f.text[f.at] >= '0' && f.text[f.at] <= '9' || f.text[f.at] >= 'a' && f.text[f.at] <= 'z') {
		f.at++
	}
	return f.text[began:f.at]
}

// aggregation reads what comes after the parenthesis of one.
func (f *formula) aggregation(operation string) (any, error) {
	a := aggregation{id: fmt.Sprintf("%sX%d", f.column, len(f.found)), operation: operation, field: everything}
	for !f.next(')') {
		f.skip()
		word := f.word()
		switch {
		case word == "kql" && f.next('=') && f.next('\''):
			end := strings.IndexByte(f.text[f.at:], '\'')
			if end < 0 {
				return nil, fmt.Errorf("the filter of %s has no end", operation)
			}
			a.kql = f.text[f.at : f.at+end]
			f.at += end + 1
		case word != "" && operation != "count":
			a.field = word
		default:
			return nil, f.unexpected()
		}
		f.next(',')
	}
	if (operation == "count") != (a.field == everything) {
		return nil, fmt.Errorf("%s needs a field", operation)
	}
	f.found = append(f.found, a)
	return a.id, nil
}
