package main

import (
	"context"
)

func sparkTable(context.Context, *bench) (table, error) { return table{}, nil }
