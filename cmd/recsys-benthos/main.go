// Command recsys-benthos is a realtime movie recommender made of declarative
// pipelines: the standard Benthos commands with plugins for recommending, and
// `up`, which runs everything on one machine.
package main

import (
	"os"

	"github.com/recsys-benthos/recsys-benthos/cmd/recsys-benthos/commands"
)

func main() { os.Exit(commands.Main(os.Args...)) }
