;; The allocator answers an address beyond the memory, where the host shall write the argument.
;; arguments: {"text": "x"}
;; must: skill-trapped
(component
  (core module $m
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const -1))
    (func (export "attack") (param i32 i32)))
  (core instance $i (instantiate $m))
  (func (export "attack") (param "text" string)
    (canon lift (core func $i "attack") (memory (core memory $i "memory")) (realloc (core func $i "realloc")))))
