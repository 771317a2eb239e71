package commands

import (
	"fmt"
	"os"

	"github.com/urfave/cli/v2"

	"github.com/recsys-benthos/recsys-benthos/internal/plots"
)

// plotFlag is of commands that can draw what they found.
func plotFlag(what string) cli.Flag {
	return &cli.StringFlag{Name: "plot", Usage: "draw " + what + " into this file, .svg or .png, which is overwritten"}
}

// checkPlot refuses, before any work is done, a file that nothing can be drawn into.
func checkPlot(c *cli.Context) error {
	if !c.IsSet("plot") {
		return nil
	}
	if err := plots.Check(c.String("plot")); err != nil {
		return usagef("--plot: %w", err)
	}
	return nil
}

// drawn draws the picture if one is asked for, and says so.
func drawn(c *cli.Context, draw func(path string) error) error {
	if !c.IsSet("plot") {
		return nil
	}
	path := c.String("plot")
	if err := draw(path); err != nil {
		return fmt.Errorf("--plot: %w", err)
	}
	fmt.Fprintln(os.Stderr, "drawn into", path)
	return nil
}
