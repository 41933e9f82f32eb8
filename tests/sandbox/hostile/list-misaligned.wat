;; Answers a list of eight-byte numbers at an odd address.
;; must: skill-trapped
(component
  (core module $m
    (memory (export "memory") 1)
    (data (i32.const 16) "\19\00\00\00\01\00\00\00")
    (func (export "attack") (result i32) (i32.const 16)))
  (core instance $i (instantiate $m))
  (func (export "attack") (result (list u64))
    (canon lift (core func $i "attack") (memory (core memory $i "memory")))))
