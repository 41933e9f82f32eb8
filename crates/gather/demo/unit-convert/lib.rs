//! The functions of `wit/skill.wit`.

wit_bindgen::generate!({ path: "wit" });

struct Skill;
export!(Skill);

impl Guest for Skill {
    fn length(value: f64, source: LengthUnit, target: LengthUnit) -> Result<f64, String> {
        if value < 0.0 {
            return Err("a length is not negative".to_owned());
        }
        Ok(value * metres(source) / metres(target))
    }

    fn temperature(value: f64, source: TemperatureUnit, target: TemperatureUnit) -> Result<f64, String> {
        let kelvin = match source {
            TemperatureUnit::Kelvin => value,
            TemperatureUnit::Celsius => value + 273.15,
            TemperatureUnit::Fahrenheit => (value - 32.0) * 5.0 / 9.0 + 273.15,
        };
        if kelvin < 0.0 {
            return Err("nothing is colder than 0 kelvin".to_owned());
        }
        Ok(match target {
            TemperatureUnit::Kelvin => kelvin,
            TemperatureUnit::Celsius => kelvin - 273.15,
            TemperatureUnit::Fahrenheit => (kelvin - 273.15) * 9.0 / 5.0 + 32.0,
        })
    }
}

fn metres(unit: LengthUnit) -> f64 {
    match unit {
        LengthUnit::Metre => 1.0,
        LengthUnit::Kilometre => 1_000.0,
        LengthUnit::Foot => 0.3048,
        LengthUnit::Mile => 1_609.344,
    }
}
