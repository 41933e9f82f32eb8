;; As random-without-end.wat, of the random numbers that need not be good.
;; must: skill-trapped
(component
  (import "wasi:random/insecure@0.2.0" (instance $random
    (export "get-insecure-random-bytes" (func (param "len" u64) (result (list u8))))))
  (core module $memory
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024)))
  (core instance $memory (instantiate $memory))
  (core func $get (canon lower (func $random "get-insecure-random-bytes")
    (memory (core memory $memory "memory")) (realloc (core func $memory "realloc"))))
  (core module $m
    (import "host" "get" (func $get (param i64 i32)))
    (func (export "attack") (call $get (i64.const 0x10000000000) (i32.const 16))))
  (core instance $i (instantiate $m (with "host" (instance (export "get" (func $get))))))
  (func (export "attack") (canon lift (core func $i "attack"))))
