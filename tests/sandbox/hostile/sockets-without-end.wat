;; Makes TCP sockets without giving them back: none may become one of the host's. It is refused each (access-denied is
;; the first error of WASI's list after "unknown"), and gives up after a thousand.
;; must: answered 1001
(component
  (import "wasi:sockets/network@0.2.0" (instance $network
    (type $codes (enum "unknown" "access-denied" "not-supported" "invalid-argument" "out-of-memory" "timeout"
      "concurrency-conflict" "not-in-progress" "would-block" "invalid-state" "new-socket-limit"
      "address-not-bindable" "address-in-use" "remote-unreachable" "connection-refused" "connection-reset"
      "connection-aborted" "datagram-too-large" "name-unresolvable" "temporary-resolver-failure"
      "permanent-resolver-failure"))
    (export "error-code" (type (eq $codes)))
    (type $families (enum "ipv4" "ipv6"))
    (export "ip-address-family" (type (eq $families)))))
  (alias export $network "error-code" (type $error-code))
  (alias export $network "ip-address-family" (type $family))
  (import "wasi:sockets/tcp@0.2.0" (instance $tcp (export "tcp-socket" (type (sub resource)))))
  (alias export $tcp "tcp-socket" (type $socket))
  (import "wasi:sockets/tcp-create-socket@0.2.0" (instance $create
    (alias outer 1 $error-code (type $e))
    (export "error-code" (type $error-code (eq $e)))
    (alias outer 1 $family (type $f))
    (export "ip-address-family" (type $family (eq $f)))
    (alias outer 1 $socket (type $s))
    (export "tcp-socket" (type $socket (eq $s)))
    (export "create-tcp-socket"
      (func (param "address-family" $family) (result (result (own $socket) (error $error-code)))))))
  (core module $memory (memory (export "memory") 1))
  (core instance $memory (instantiate $memory))
  (alias core export $memory "memory" (core memory $bytes))
  (core func $create (canon lower (func $create "create-tcp-socket") (memory (core memory $memory "memory"))))
  (core module $m
    (import "host" "memory" (memory 1))
    (import "host" "create" (func $create (param i32 i32)))
    (func (export "attack") (result i32) (local $refused i32)
      (loop
        (call $create (i32.const 0) (i32.const 16))
        (if (i32.load8_u (i32.const 16)) (then (local.set $refused (i32.add (local.get $refused) (i32.const 1)))))
        (br_if 0 (i32.le_u (local.get $refused) (i32.const 1000))))
      (local.get $refused)))
  (core instance $i (instantiate $m
    (with "host" (instance (export "memory" (memory $bytes)) (export "create" (func $create))))))
  (func (export "attack") (result u32) (canon lift (core func $i "attack"))))
