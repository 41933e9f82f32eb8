;; Three million strings of no bytes: each has its own place in the host.
;; must: skill-output
(component
  (core module $m
    (memory (export "memory") 400)
    (func (export "attack") (result i32) (local $at i32)
      (i32.store (i32.const 16) (i32.const 2097152))
      (i32.store (i32.const 20) (i32.const 3000000))
      (i32.const 16)))
  (core instance $i (instantiate $m))
  (func (export "attack") (result (list string))
    (canon lift (core func $i "attack") (memory (core memory $i "memory")))))
