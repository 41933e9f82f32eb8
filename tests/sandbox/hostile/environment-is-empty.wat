;; Reads the environment variables: there are none. (Empty lists need no allocator; this one would trap.)
;; must: answered 0
(component
  (import "wasi:cli/environment@0.2.0" (instance $environment
    (export "get-environment" (func (result (list (tuple string string)))))))
  (core module $memory
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (if (i32.ne (local.get 3) (i32.const 0)) (then (unreachable)))
      (i32.const 1024)))
  (core instance $memory (instantiate $memory))
  (alias core export $memory "memory" (core memory $bytes))
  (core func $get (canon lower (func $environment "get-environment")
    (memory (core memory $memory "memory")) (realloc (core func $memory "realloc"))))
  (core module $m
    (import "host" "memory" (memory 1))
    (import "host" "get" (func $get (param i32)))
    (func (export "attack") (result i32)
      (call $get (i32.const 16))
      (i32.load (i32.const 20))))
  (core instance $i (instantiate $m
    (with "host" (instance (export "memory" (memory $bytes)) (export "get" (func $get))))))
  (func (export "attack") (result u32) (canon lift (core func $i "attack"))))
