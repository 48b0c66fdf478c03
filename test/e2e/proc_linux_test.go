package e2e_test

import "syscall"

// dieWithParent leaves no process behind when the tests are killed.
func dieWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
