;; Answers more bits than its type has: the others are cut off (canonical ABI).
;; must: answered 120
(component
  (core module $m
    (memory (export "memory") 1)
    (data (i32.const 16) "")
    (func (export "attack") (result i32) (i32.const 0x12345678)))
  (core instance $i (instantiate $m))
  (func (export "attack") (result u8)
    (canon lift (core func $i "attack") (memory (core memory $i "memory")))))
