//go:build !unix

package chaos

func politely() {}
