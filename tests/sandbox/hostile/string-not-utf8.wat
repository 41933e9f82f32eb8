;; Answers a string of bytes that are not UTF-8.
;; must: skill-trapped
(component
  (core module $m
    (memory (export "memory") 1)
    (data (i32.const 16) "\18\00\00\00\02\00\00\00\ff\fe")
    (func (export "attack") (result i32) (i32.const 16)))
  (core instance $i (instantiate $m))
  (func (export "attack") (result string)
    (canon lift (core func $i "attack") (memory (core memory $i "memory")))))
