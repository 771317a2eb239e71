// Package spark carries the distributed training job inside the program, so that both are always of one version.
package spark

import "embed"

// Main is the script that is given to spark-submit; it imports the others from its folder.
const Main = "train_als.py"

// Files are the job's scripts.
//
//go:embed *.py
var Files embed.FS
