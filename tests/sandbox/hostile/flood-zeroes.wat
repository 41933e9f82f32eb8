;; Has the host write as many zeros to stdout as a number can say: the output is the host's memory.
;; must: skill-trapped
(component
  (import "wasi:io/error@0.2.0" (instance $error (export "error" (type (sub resource)))))
  (alias export $error "error" (type $error))
  (import "wasi:io/streams@0.2.0" (instance $streams
    (export "output-stream" (type $stream (sub resource)))
    (alias outer 1 $error (type $e))
    (export "error" (type $error (eq $e)))
    (type $failure (variant (case "last-operation-failed" (own $error)) (case "closed")))
    (export "stream-error" (type $stream-error (eq $failure)))
    (export "[method]output-stream.write-zeroes"
      (func (param "self" (borrow $stream)) (param "len" u64) (result (result (error $stream-error)))))))
  (alias export $streams "output-stream" (type $stream))
  (import "wasi:cli/stdout@0.2.0" (instance $stdout
    (alias outer 1 $stream (type $s))
    (export "output-stream" (type $stream (eq $s)))
    (export "get-stdout" (func (result (own $stream))))))
  (core module $memory (memory (export "memory") 1))
  (core instance $memory (instantiate $memory))
  (core func $get (canon lower (func $stdout "get-stdout")))
  (core func $write (canon lower (func $streams "[method]output-stream.write-zeroes") (memory (core memory $memory "memory"))))
  (core module $m
    (import "host" "get" (func $get (result i32)))
    (import "host" "write" (func $write (param i32 i64 i32)))
    (func (export "attack") (local $stream i32)
      (local.set $stream (call $get))
      (loop
        (call $write (local.get $stream) (i64.const 0x3fffffffffffffff) (i32.const 16))
        (br 0))))
  (core instance $i (instantiate $m (with "host" (instance (export "get" (func $get)) (export "write" (func $write))))))
  (func (export "attack") (canon lift (core func $i "attack"))))
