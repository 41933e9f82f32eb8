;; One instruction writes megabytes, again and again: bulk instructions are long between two looks at the clock.
;; must: skill-deadline | skill-fuel
(component
  (core module $m
    (memory (export "memory") 400)
    (func (export "attack")
      (loop
        (memory.fill (i32.const 0) (i32.const 7) (i32.const 26214400))
        (memory.copy (i32.const 1) (i32.const 0) (i32.const 26214399))
        (br 0))))
  (core instance $i (instantiate $m))
  (func (export "attack") (canon lift (core func $i "attack"))))
