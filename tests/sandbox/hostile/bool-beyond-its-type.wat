;; Answers two for a truth: everything but zero is true (canonical ABI).
;; must: answered true
(component
  (core module $m
    (memory (export "memory") 1)
    (data (i32.const 16) "")
    (func (export "attack") (result i32) (i32.const 2)))
  (core instance $i (instantiate $m))
  (func (export "attack") (result bool)
    (canon lift (core func $i "attack") (memory (core memory $i "memory")))))
