package commands

import (
	"slices"
	"strings"
	"testing"
)

func TestCompletionKnowsCommandsFlagsAndVersions(t *testing.T) {
	m := newModelsTest(t)
	tree := testTree(t)
	for _, c := range []struct {
		words     []string
		has, lack []string
	}{
		{[]string{""}, []string{"up", "models", "lint", "streams"}, []string{treeCommand, "--json"}},
		{[]string{"models", ""}, []string{"promote", "rollback"}, []string{"up"}},
		{[]string{"models", "list", "-"}, []string{"--json", "--registry", "--help"}, nil},
		{[]string{"lint", "--"}, []string{"--resources"}, nil},
		{[]string{"models", "promote", "--registry", m.url, ""}, []string{"good", "bad", "old", "champion"}, nil},
		{[]string{"models", "promote", "--registry=" + m.url, ""}, []string{"good"}, nil},
		{[]string{"models", "compare", "--registry", m.url, "old", ""}, []string{"good"}, nil},
		{[]string{"models", "promote", "--registry", m.url, "good", ""}, nil, []string{"good"}},
		{[]string{"recommend", "--registry", m.url, "--version", ""}, []string{"good"}, []string{"champion"}},
		{[]string{"train", "--algorithm", ""}, []string{"als", "als_vb"}, nil},
		{[]string{"train", "--ratings", ""}, nil, []string{"--json"}}, // a file
		{[]string{"completion", ""}, []string{"bash", "zsh", "fish"}, nil},
	} {
		var got []string
		for _, candidate := range candidates(tree, c.words) {
			got = append(got, candidate.word)
		}
		for _, word := range c.has {
			if !slices.Contains(got, word) {
				t.Errorf("%s: %q is not among %q", strings.Join(c.words, " "), word, got)
			}
		}
		for _, word := range c.lack {
			if slices.Contains(got, word) {
				t.Errorf("%s: %q is among %q", strings.Join(c.words, " "), word, got)
			}
		}
	}
}
