//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package broker

// folderLock does nothing where the kernel has no flock: running two brokers
// on one folder is then the user's to avoid.
type folderLock struct{}

func lockFolder(string) (*folderLock, error) { return &folderLock{}, nil }

func (l *folderLock) release() error { return nil }
