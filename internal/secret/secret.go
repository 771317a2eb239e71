// Package secret reads settings that nobody else should see: from the
// environment variable NAME or, as containers are given secrets, from the file
// that NAME_FILE names.
package secret

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// FileSuffix is what a variable that names a file ends in.
const FileSuffix = "_FILE"

// maxBytes is far above any password, key or certificate.
const maxBytes = 1 << 20

// Lookup returns the value of a variable, or the content of the file that NAME_FILE
// names, without the newline at its end, if the variable is unset or empty. fromFile
// says which. A file that is named and cannot be read, or is empty, is an error that
// names variable and file: never a silent default. Errors never hold the content.
func Lookup(name string) (value string, fromFile bool, err error) {
	if value := os.Getenv(name); value != "" {
		return value, false, nil
	}
	path := os.Getenv(name + FileSuffix)
	if path == "" {
		return "", false, nil
	}
	value, err = Read(path)
	if err != nil {
		return "", true, fmt.Errorf("reading %s from the file that %s%s names: %w; name a file that this user can read, or set %s itself", name, name, FileSuffix, err, name)
	}
	return value, true, nil
}

// Read returns the content of a file without the newline at its end. A file without
// content is an error. Errors name the file and never hold the content.
func Read(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxBytes+1))
	if err != nil {
		return "", err
	}
	text := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	switch {
	case len(data) > maxBytes:
		return "", fmt.Errorf("%s has more than %d bytes", path, maxBytes)
	case text == "":
		return "", fmt.Errorf("%s is empty", path)
	case strings.ContainsRune(text, 0):
		return "", fmt.Errorf("%s is no text: it has a zero byte", path)
	}
	return text, nil
}

// Check reads every file that a variable NAME_FILE of the environment names, where
// NAME begins with one of the prefixes and is not set itself: who starts a program is
// told at once. Names of certificates, such as KAFKA_CA_FILE, are no secrets.
func Check(environ, prefixes []string) error {
	var errs []error
	for _, setting := range environ {
		variable, _, _ := strings.Cut(setting, "=")
		name, ok := strings.CutSuffix(variable, FileSuffix)
		if !ok || strings.HasSuffix(name, "_CA") {
			continue
		}
		for _, prefix := range prefixes {
			if strings.HasPrefix(name, prefix) {
				_, _, err := Lookup(name)
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}

// YAML makes a value fit between the double quotes that configuration has around
// ${NAME}: variables are put in before YAML is read.
func YAML(value string) string { return escaper.Replace(value) }

var escaper = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\r", `\r`, "\t", `\t`)
