;; Asks for 4 GiB at once.
;; must: skill-memory
(component
  (core module $m
    (memory (export "memory") 1)
    (func (export "attack")
      (if (i32.eq (memory.grow (i32.const 65535)) (i32.const -1)) (then (unreachable)))))
  (core instance $i (instantiate $m))
  (func (export "attack") (canon lift (core func $i "attack"))))
