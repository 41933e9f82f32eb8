;; Answers a list that is nearly 4 GiB long, from 64 KiB of memory.
;; must: skill-trapped
(component
  (core module $m
    (memory (export "memory") 1)
    (data (i32.const 16) "\00\00\00\00\f0\ff\ff\ff")
    (func (export "attack") (result i32) (i32.const 16)))
  (core instance $i (instantiate $m))
  (func (export "attack") (result (list u8))
    (canon lift (core func $i "attack") (memory (core memory $i "memory")))))
