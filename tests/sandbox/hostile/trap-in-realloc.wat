;; The allocator traps when the host asks it for room for the argument.
;; arguments: {"text": "x"}
;; must: skill-trapped
(component
  (core module $m
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (unreachable))
    (func (export "attack") (param i32 i32)))
  (core instance $i (instantiate $m))
  (func (export "attack") (param "text" string)
    (canon lift (core func $i "attack") (memory (core memory $i "memory")) (realloc (core func $i "realloc")))))
