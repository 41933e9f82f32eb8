;; The allocator answers an odd address for numbers of eight bytes.
;; arguments: {"numbers": [1, 2]}
;; must: skill-trapped
(component
  (core module $m
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1025))
    (func (export "attack") (param i32 i32)))
  (core instance $i (instantiate $m))
  (func (export "attack") (param "numbers" (list u64))
    (canon lift (core func $i "attack") (memory (core memory $i "memory")) (realloc (core func $i "realloc")))))
