;; Imports a function of the host with another type than it has.
;; must: skill-unusable
(component
  (import "wasi:random/random@0.2.0" (instance $random (export "get-random-u64" (func (param "x" string) (result u64)))))
  (core module $memory (memory (export "memory") 1))
  (core instance $memory (instantiate $memory))
  (core func $get (canon lower (func $random "get-random-u64") (memory (core memory $memory "memory"))))
  (core module $m
    (import "host" "get" (func $get (param i32 i32) (result i64)))
    (func (export "attack") (drop (call $get (i32.const 0) (i32.const 0)))))
  (core instance $i (instantiate $m (with "host" (instance (export "get" (func $get))))))
  (func (export "attack") (canon lift (core func $i "attack"))))
