;; Answers a case that the variant does not have.
;; must: skill-trapped
(component
  (core module $m
    (memory (export "memory") 1)
    (data (i32.const 16) "\09\00\00\00\00\00\00\00")
    (func (export "attack") (result i32) (i32.const 16)))
  (core instance $i (instantiate $m))
  (func (export "attack") (result (option u32))
    (canon lift (core func $i "attack") (memory (core memory $i "memory")))))
