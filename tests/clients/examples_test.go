package clients

import (
	"context"
	"os/exec"
	"strings"
	"testing"
	"time"
)

const exampleTimeout = 30 * time.Second

// sayStatus has each curl of a script write its status, and end the script with
// what else was answered where that is not 2xx.
const sayStatus = `set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
curl() {
  status=$(command curl --silent --show-error --output "$folder/answer" --write-out '%{http_code}' "$@")
  echo "$status $*"
  case $status in
    2??) ;;
    *) cat "$folder/answer"; exit 1 ;;
  esac
}
`

func TestEveryCurlOfTheDocumentationIsAnswered(t *testing.T) {
	shell, _ := need(t, "sh"), need(t, "curl")
	commands := 0
	for _, block := range blocks(t, "sh") {
		if !strings.Contains(block, "curl") {
			continue
		}
		ctx, cancel := context.WithTimeout(t.Context(), exampleTimeout)
		defer cancel()
		out, err := exec.CommandContext(ctx, shell, "-c", sayStatus+block).CombinedOutput()
		if err != nil {
			t.Errorf("%v\n%s\nof\n%s", err, out, block)
		}
		asked := strings.Count(block, "curl ")
		if answered := strings.Count(string(out), server.Base); answered != asked {
			t.Errorf("%d of %d commands were answered:\n%s", answered, asked, out)
		}
		commands += asked
	}
	if commands < 4 {
		t.Errorf("only %d commands were found", commands)
	}
}

func TestThePythonOfTheDocumentationRuns(t *testing.T) {
	python := need(t, "python3")
	found := blocks(t, "python")
	if len(found) != 1 {
		t.Fatalf("there are %d examples, want 1", len(found))
	}
	ctx, cancel := context.WithTimeout(t.Context(), exampleTimeout)
	defer cancel()
	out, err := exec.CommandContext(ctx, python, "-I", "-c", found[0]).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{"stars for ", "recommended: ['", "written: 1\n", "400 n is 1001; give a whole number"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("it does not say %q:\n%s", want, out)
		}
	}
}
