;; Answers that the result itself lies at an odd address.
;; must: skill-trapped
(component
  (core module $m
    (memory (export "memory") 1)
    (data (i32.const 16) "\00\00\00\00\00\00\00\00\00\00")
    (func (export "attack") (result i32) (i32.const 17)))
  (core instance $i (instantiate $m))
  (func (export "attack") (result string)
    (canon lift (core func $i "attack") (memory (core memory $i "memory")))))
