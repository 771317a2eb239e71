//go:build !(darwin || linux)

package broker

import "errors"

func freeBytes(string) (int64, error) { return 0, errors.ErrUnsupported }
