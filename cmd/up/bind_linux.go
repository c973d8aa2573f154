package main

import "syscall"

// bind makes a child end with this process, however that ends.
func bind(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGTERM }
