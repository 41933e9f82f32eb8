;; The allocator never ends. The host calls it for the argument's bytes, before the tool itself.
;; arguments: {"text": "x"}
;; must: skill-deadline
(component
  (core module $m
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (loop (br 0)) (unreachable))
    (func (export "attack") (param i32 i32)))
  (core instance $i (instantiate $m))
  (func (export "attack") (param "text" string)
    (canon lift (core func $i "attack") (memory (core memory $i "memory")) (realloc (core func $i "realloc")))))
