package faults

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Machine code that stands in for the kernel's vdso functions: each does the
// system call and adds the seconds that lie at the end. A call's parameters are in
// RDI and RSI; a system call leaves both as they are.
var (
	resolutionCode = []byte{ // clock_getres, whose place the others take
		0xb8, 0xe5, 0, 0, 0, // mov eax, 229
		0x0f, 0x05, // syscall
		0xc3, // ret
	}
	clockCode = []byte{ // clock_gettime(RDI clock, RSI time)
		0xb8, 0xe4, 0, 0, 0, // mov eax, 228
		0x0f, 0x05, // syscall
		0x85, 0xc0, // test eax, eax
		0x75, 0x13, // jnz ret
		0x85, 0xff, // test edi, edi: CLOCK_REALTIME
		0x74, 0x05, // jz add
		0x83, 0xff, 0x05, // cmp edi, 5: CLOCK_REALTIME_COARSE
		0x75, 0x0a, // jne ret
		0x48, 0x8b, 0x0d, 0, 0, 0, 0, // add: mov rcx, [rip+seconds]
		0x48, 0x01, 0x0e, // add [rsi], rcx
		0xc3, // ret
	}
	dayCode = []byte{ // gettimeofday(RDI time, RSI zone)
		0xb8, 0x60, 0, 0, 0, // mov eax, 96
		0x0f, 0x05, // syscall
		0x48, 0x85, 0xff, // test rdi, rdi
		0x74, 0x0a, // jz ret
		0x48, 0x8b, 0x0d, 0, 0, 0, 0, // mov rcx, [rip+seconds]
		0x48, 0x01, 0x0f, // add [rdi], rcx
		0xc3, // ret
	}
	timeCode = []byte{ // time(RDI seconds)
		0xb8, 0xc9, 0, 0, 0, // mov eax, 201
		0x57,       // push rdi: it is the only parameter, and must be zero
		0x31, 0xff, // xor edi, edi
		0x0f, 0x05, // syscall
		0x5f,                         // pop rdi
		0x48, 0x03, 0x05, 0, 0, 0, 0, // add rax, [rip+seconds]
		0x48, 0x85, 0xff, // test rdi, rdi
		0x74, 0x03, // jz ret
		0x48, 0x89, 0x07, // mov [rdi], rax
		0xc3, // ret
	}
)

// stand-ins, and where in the code the distance to the seconds is.
var standIns = []struct {
	function string
	code     []byte
	distance int
}{
	{"__vdso_clock_gettime", clockCode, 23},
	{"__vdso_gettimeofday", dayCode, 15},
	{"__vdso_time", timeCode, 14},
}

// SetClock sets the wall clock of a running process, by whole seconds ahead of the
// machine's, or behind; zero sets it right. Monotonic clocks, timers and other
// processes stay as they are; programs that ask the kernel without its vdso see
// the machine's time. The process may be of any kind that runs on this kernel, and
// must be one that this process may trace.
//
// The vdso is the page of kernel code that every process has, so what it looks
// like in this process is known of the other one; what is written into it there
// is a copy of its own.
func SetClock(pid int, ahead time.Duration) error {
	if ahead%time.Second != 0 {
		return fmt.Errorf("setting the clock of process %d: %s is no whole number of seconds", pid, ahead)
	}
	if err := setClock(pid, int64(ahead/time.Second)); err != nil {
		return fmt.Errorf("setting the clock of process %d: %w", pid, err)
	}
	return nil
}

func setClock(pid int, seconds int64) error {
	own, _, err := readVDSO(os.Getpid())
	if err != nil {
		return err
	}
	image, base, err := readVDSO(pid)
	if err != nil {
		return err
	}
	place, size, err := symbol(own, "__vdso_clock_getres")
	if err != nil {
		return err
	}
	mem, err := os.OpenFile(fmt.Sprintf("/proc/%d/mem", pid), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer mem.Close()
	code, entries := assemble(place)
	at := int64(base) + int64(place)
	if uint64(len(code)) > size {
		return fmt.Errorf("clock_getres of this kernel has %d bytes, and %d are needed; use a kernel from 6.0 on", size, len(code))
	}
	if patched := bytes.HasPrefix(image[place:], code[:len(code)-8]); !patched {
		if err := writeStopped(pid, mem, base, own, at, code, entries); err != nil {
			return err
		}
	}
	_, err = mem.WriteAt(binary.LittleEndian.AppendUint64(nil, uint64(seconds)), at+int64(len(code))-8)
	return err
}

// assemble puts the stand-ins one behind the other and returns where in it each
// begins.
func assemble(place uint64) (code []byte, entries []int) {
	code = bytes.Clone(resolutionCode)
	for _, s := range standIns {
		entries = append(entries, len(code))
		code = append(code, s.code...)
	}
	for (place+uint64(len(code)))%8 != 0 {
		code = append(code, 0xcc)
	}
	for i, s := range standIns {
		field := entries[i] + s.distance
		binary.LittleEndian.PutUint32(code[field:], uint32(len(code)-field-4))
	}
	return append(code, make([]byte, 8)...), entries
}

// writeStopped writes the code and the jumps to it, while no thread of the process
// runs, or is in what is written over.
func writeStopped(pid int, mem *os.File, base uint64, own []byte, at int64, code []byte, entries []int) error {
	deadline := time.Now().Add(10 * time.Second)
	for {
		err := stopOutside(pid, base, base+uint64(len(own)))
		if err == nil {
			break
		}
		_ = syscall.Kill(pid, syscall.SIGCONT)
		if time.Now().After(deadline) {
			return err
		}
		time.Sleep(time.Millisecond)
	}
	defer func() { _ = syscall.Kill(pid, syscall.SIGCONT) }()
	if _, err := mem.WriteAt(code, at); err != nil {
		return err
	}
	for i, s := range standIns {
		function, _, err := symbol(own, s.function)
		if err != nil {
			return err
		}
		from := int64(base) + int64(function)
		jump := binary.LittleEndian.AppendUint32([]byte{0xe9}, uint32(at+int64(entries[i])-from-5))
		if _, err := mem.WriteAt(jump, from); err != nil {
			return err
		}
	}
	return nil
}

// stopOutside stops the process and demands that all its threads have stopped,
// with none between two addresses.
func stopOutside(pid int, from, to uint64) error {
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		return err
	}
	folder := fmt.Sprintf("/proc/%d/task", pid)
	deadline := time.Now().Add(5 * time.Second)
	for {
		tasks, err := filepath.Glob(folder + "/*/syscall")
		if err != nil || len(tasks) == 0 {
			return errors.Join(err, errors.New("it has no threads; has it ended?"))
		}
		running, inside := 0, 0
		for _, task := range tasks {
			text, err := os.ReadFile(task)
			fields := strings.Fields(string(text))
			if err != nil || len(fields) < 3 || !stopped(filepath.Dir(task)) { // "running", or gone
				running++
				continue
			}
			if pc, err := strconv.ParseUint(strings.TrimPrefix(fields[len(fields)-1], "0x"), 16, 64); err != nil || pc >= from && pc < to {
				inside++
			}
		}
		switch {
		case running == 0 && inside == 0:
			return nil
		case running == 0:
			return fmt.Errorf("%d threads are reading the clock; try again", inside)
		case time.Now().After(deadline):
			return fmt.Errorf("%d of %d threads have not stopped in 5 s", running, len(tasks))
		}
		time.Sleep(time.Millisecond)
	}
}

// stopped reports whether a thread is in state T.
func stopped(task string) bool {
	text, err := os.ReadFile(filepath.Join(task, "stat"))
	if err != nil {
		return false
	}
	_, after, _ := bytes.Cut(text, []byte(") "))
	return len(after) > 0 && (after[0] == 'T' || after[0] == 't')
}

func symbol(image []byte, name string) (value, size uint64, err error) {
	file, err := elf.NewFile(bytes.NewReader(image))
	if err != nil {
		return 0, 0, fmt.Errorf("reading the vdso: %w", err)
	}
	symbols, err := file.DynamicSymbols()
	if err != nil {
		return 0, 0, fmt.Errorf("reading the vdso: %w", err)
	}
	for _, s := range symbols {
		if s.Name == name {
			return s.Value, s.Size, nil
		}
	}
	return 0, 0, fmt.Errorf("the vdso of this kernel has no %s", name)
}

// readVDSO returns the vdso of a process, and where it is there.
func readVDSO(pid int) (image []byte, base uint64, err error) {
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return nil, 0, err
	}
	for line := range strings.Lines(string(maps)) {
		if !strings.HasSuffix(strings.TrimSpace(line), "[vdso]") {
			continue
		}
		var end uint64
		if _, err := fmt.Sscanf(line, "%x-%x", &base, &end); err != nil {
			return nil, 0, fmt.Errorf("reading %q: %w", line, err)
		}
		mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
		if err != nil {
			return nil, 0, err
		}
		defer mem.Close()
		image = make([]byte, end-base)
		if _, err := mem.ReadAt(image, int64(base)); err != nil {
			return nil, 0, fmt.Errorf("reading the vdso: %w", err)
		}
		return image, base, nil
	}
	return nil, 0, fmt.Errorf("process %d has no vdso", pid)
}
